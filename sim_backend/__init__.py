"""A simulated hall behind the hardware's own interfaces: scene, channel and capture source."""
