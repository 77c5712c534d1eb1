"""Room: comms. Readers of real talk: Slack exports, mailboxes, logs of questions."""
