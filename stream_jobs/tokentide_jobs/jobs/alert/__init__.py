"""Alerts in a job: transitions are stored before they are sent, and sent until they are through."""
