"""One folder per customer, and the notebooks run in it."""
