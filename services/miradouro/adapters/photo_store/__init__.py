"""Original photos in files, on HTTPS servers, in S3 and in Google Cloud Storage."""

from miradouro.adapters.photo_store.file_store import FileStore, file_uri
from miradouro.adapters.photo_store.settings import PhotoStoreSettings
from miradouro.adapters.photo_store.stores import PhotoStores

__all__ = ["FileStore", "PhotoStoreSettings", "PhotoStores", "file_uri"]
