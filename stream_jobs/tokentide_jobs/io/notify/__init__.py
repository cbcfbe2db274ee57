"""Notifications: webhooks by the Standard Webhooks convention, and bodies that Slack takes."""
