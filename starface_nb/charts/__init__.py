"""One function per picture: a diagnosis in, an altair chart out."""
