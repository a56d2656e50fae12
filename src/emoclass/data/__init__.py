"""Tables in, clean labelled texts out; knows no model."""
