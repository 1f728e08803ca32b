"""How the processes of a testbed talk: messages, sockets, keys."""
