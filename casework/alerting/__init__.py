"""Alerts that leave the machine: kept until they are delivered, to addresses and webhooks, without any content."""
