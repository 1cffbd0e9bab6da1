from . import broken_inside
