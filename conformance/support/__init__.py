"""What the cases share: the server under test, a model and a tool server to put behind it."""
