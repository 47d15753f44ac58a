"""One pass kept whole, for panels to open later without the model. A study without a view of its own."""
