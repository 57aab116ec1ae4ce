"""Files: recording an upload, removing what is not wanted or was not attached in time (semantics 4.8)."""

from __future__ import annotations

from tertulia.server.domain.errors import MEDIA_SIZE, MEDIA_UNKNOWN
from tertulia.server.domain.media import DeleteMedia, ForgetOrphans, KeepMedia, Media, MediaKept

from .attachments import let_go
from .rules import handles
from .scenes import AccountScene, ServiceScene, in_account, in_service
from .unit import Unit


@handles(KeepMedia, on=in_service)
async def keep_media(unit: Unit, command: KeepMedia, scene: ServiceScene) -> Media:
    quota = unit.policy.media_quota_bytes
    if quota:
        used = (await unit.media.usage(scene.service.sid)).size
        if used + command.size > quota:
            raise MEDIA_SIZE(f"The files of the service would have {used + command.size} bytes, {quota} are allowed")
    media = Media(
        sid=command.sid,
        account_sid=scene.service.account_sid,
        service_sid=scene.service.sid,
        author=unit.caller.author,
        category=command.category,
        filename=command.filename,
        content_type=command.content_type,
        size=command.size,
        sha256=command.sha256,
        blob=command.blob,
        inline=None,
        conversation_sid=None,
        message_sid=None,
        quarantined_at=unit.now if command.quarantined else None,
        created_at=unit.now,
        updated_at=unit.now,
    )
    await unit.media.add(media)
    unit.record(MediaKept(media=media))
    return media


@handles(DeleteMedia, on=in_service)
async def delete_media(unit: Unit, command: DeleteMedia, scene: ServiceScene) -> None:
    """A message keeps the name of what was removed from it, as of a letter's enclosure that was lost."""
    media = await unit.media.find(scene.service.sid, command.media)
    if media is None:
        raise MEDIA_UNKNOWN()
    is_his = media.author == unit.caller.identity and media.message_sid is None and media.quarantined_at is None
    if unit.caller.is_identity and not is_his:
        raise MEDIA_UNKNOWN()
    if await unit.media.remove(media):
        let_go(unit, (media,))


@handles(ForgetOrphans, on=in_account, for_clients=False)
async def forget_orphans(unit: Unit, command: ForgetOrphans, _scene: AccountScene) -> int:
    found = await unit.media.orphans(unit.caller.account_sid, command.before, command.quarantined_before, command.most)
    # What was attached meanwhile stays.
    let_go(unit, await unit.media.remove_many(found))
    return len(found)
