"""Every network of the core looked at from outside: its plan, its costs, its speed on this machine."""
