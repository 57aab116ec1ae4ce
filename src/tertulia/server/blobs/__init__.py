"""Where the bytes of media are kept: apart from the database, each behind one small protocol.

* ``base``: what a store of blobs promises
* ``opening``: the store that the settings name
* ``folder``: in a folder, the default; ``files`` is what its threads do
* ``s3``: in a bucket of an S3-compatible service; ``s3_uploads`` sends, ``s3_failures`` says what is wrong
* ``scanner``: asks ClamAV about a blob
"""
