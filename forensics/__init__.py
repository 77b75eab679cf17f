"""Container incident response: contain, collect, examine, prove. The command is `ir`."""

__version__ = "0.1.0"
