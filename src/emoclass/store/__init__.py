"""Model directories: what is in them, saving, loading, listing, removing."""
