"""The one error of the clients."""


class ClientError(ConnectionError):
    """The gateway cannot be reached or refuses; the message says why."""
