"""Bytes to images, layers and file trees. Knows no engine and no case; creates nothing that an archive asks for."""
