"""The only room that may name a framework."""
