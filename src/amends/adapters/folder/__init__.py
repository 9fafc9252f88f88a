"""A folder of files: the archive of streams that a store has given up.

Rules: plain formats that other tools read. It does not: need more than the standard library, or know a store.
"""

from amends.adapters.folder.archive import FolderArchive

__all__ = ["FolderArchive"]
