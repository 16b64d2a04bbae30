"""The commands: one module each, named as the command is; ``COMMAND`` is its function, or a group of them."""
