"""From what the user names (files, folders, archives, standard input) to streams of bytes, and what they may cost."""
