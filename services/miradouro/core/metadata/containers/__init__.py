"""Where the metadata lies in the files of every format."""
