"""The storage port and its adapters: `file` (a folder) and `s3`."""

from __future__ import annotations

from onevoice_kit.settings import StorageSettings
from onevoice_kit.storage.base import ObjectRef, SignedUpload, Storage, UploadedPart, check_key

__all__ = ["ObjectRef", "SignedUpload", "Storage", "UploadedPart", "check_key", "open_storage"]


def open_storage(settings: StorageSettings) -> Storage:
    """The store that the settings name; close it when the process ends."""
    if settings.storage_backend == "s3":
        from onevoice_kit.storage.s3 import S3Storage

        return S3Storage(settings)
    from onevoice_kit.storage.file import FileStorage
    from onevoice_kit.storage.signing import UrlSigner

    base_url = settings.storage_public_url.rstrip("/") + "/storage"
    signer = UrlSigner(settings.storage_signing_key.get_secret_value().encode(), base_url)
    return FileStorage(settings.storage_dir, signer)
