"""The demo: a server with one website, a fake Linode API and a mailbox, all on this machine's loopback."""
