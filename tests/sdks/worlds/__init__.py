"""Who else is in the stories of channels: people with telephones and mailboxes, providers, a back end."""
