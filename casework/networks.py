"""Networks as pairs of addresses in one form, so that any database compares them."""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
    summarize_address_range,
)

Network = IPv4Network | IPv6Network
# Nobody manages as many machines as that; a mistyped length would make everybody's managed ones.
_SHORTEST = {4: 8, 6: 16}


class NetworkRefused(ValueError):
    """Not a network, or one that is too wide; `code` says which."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def packed_address(address: IPv4Address | IPv6Address) -> bytes:
    """16 bytes; an IPv4 address as it is mapped into IPv6 (RFC 4291, 2.5.5.2)."""
    return address.packed if isinstance(address, IPv6Address) else bytes(10) + b"\xff\xff" + address.packed


def parse_network(text: str) -> Network:
    """A network in CIDR notation, or a single address.

    Raises:
        NetworkRefused: it is neither, has bits beyond its length, or is too wide to be anybody's.

    """
    try:
        network = ip_network(text)
    except ValueError:
        raise NetworkRefused("not_a_network") from None
    if network.prefixlen < _SHORTEST[network.version]:
        raise NetworkRefused("network_too_wide")
    return network


def ends_of(network: Network) -> tuple[bytes, bytes]:
    """The first and the last address of a network."""
    return packed_address(network[0]), packed_address(network[-1])


def network_between(first: bytes, last: bytes) -> Network:
    """The network that has these ends."""
    ends = [ip_address(end) for end in (first, last)]
    mapped = [end.ipv4_mapped or end for end in ends if isinstance(end, IPv6Address)]
    [network] = summarize_address_range(mapped[0], mapped[1])
    return network
