"""Everything that knows what BERT looks like."""
