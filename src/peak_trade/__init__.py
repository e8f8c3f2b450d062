"""Peak_Trade: a strategy run becomes sealed evidence."""

__version__ = "0.1.0"
