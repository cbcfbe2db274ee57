"""Void: events are taken out by their ids, and stay out; or are let in again."""
