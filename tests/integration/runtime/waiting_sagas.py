"""Definitions of sagas that wait, run side by side, or have children."""

from __future__ import annotations

from typing import Final

APPROVAL: Final = """
saga: approval
version: 1
steps:
  - {name: ask, participant: office, action: {path: /ask}, compensation: {path: /forget}}
  - {name: approve, wait_for: {signal: approval, timeout: 24h, on_timeout: reject}}
  - {name: ship, participant: post, action: {path: /ship}, compensation: {path: /return}}
"""
NAP: Final = """
saga: nap
version: 1
steps:
  - {name: ask, participant: office, action: {path: /ask}, compensation: {path: /forget}}
  - {name: doze, sleep: 2h}
  - {name: ship, participant: post, action: {path: /ship}, compensation: {path: /return}}
"""
BLINK: Final = """
saga: blink
version: 1
steps:
  - {name: doze, sleep: 4s}
  - {name: ship, participant: post, action: {path: /ship}, compensation: {path: /return}}
"""
ASYNCHRONOUS: Final = """
saga: asynchronous
version: 1
steps:
  - name: print
    participant: printer
    action: {path: /print}
    compensation: {path: /shred}
    completion: callback
    completion_timeout: 1h
"""
SIDE_BY_SIDE: Final = """
saga: side_by_side
version: 1
steps:
  - {name: pay, participant: bank, action: {path: /pay}, pivot: true}
  - {name: ship, after: [pay], participant: post, action: {path: /ship}}
  - {name: mail, after: [pay], participant: office, action: {path: /mail}}
"""
PARENT: Final = """
saga: parent
version: 1
steps:
  - {name: ask, participant: office, action: {path: /ask}, compensation: {path: /forget}}
  - {name: trip, saga: {type: child, input: {to: "${input.step_data[0].to}"}}}
  - {name: ship, participant: post, action: {path: /ship}, compensation: {path: /return}}
"""
CHILD: Final = """
saga: child
version: 1
steps:
  - name: fly
    participant: airline
    action: {path: /fly, body: "${input}"}
    compensation: {path: /unfly, retry: {attempts: 1}}
"""
FAMILY: Final = """
saga: family
version: 1
steps:
  - {name: pay, participant: bank, action: {path: /pay}, pivot: true}
  - {name: trip, after: [pay], saga: {type: child}}
  - {name: ship, after: [pay], participant: post, action: {path: /ship}}
"""
