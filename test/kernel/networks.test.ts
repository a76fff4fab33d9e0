import assert from 'node:assert/strict'
import { test } from 'node:test'
import { networkOf } from '../../src/kernel/networks.ts'

test('an IPv4 address counts by itself, also where it is written as IPv6', () => {
  assert.equal(networkOf('192.0.2.1'), '192.0.2.1')
  assert.equal(networkOf('::ffff:192.0.2.1'), '192.0.2.1')
  assert.equal(networkOf('::FFFF:192.0.2.1'), '192.0.2.1')
})

test('IPv6 addresses of one network of 64 bits count as one, however they are written', () => {
  for (const address of [
    '2001:db8:0:7::1',
    '2001:0DB8:0000:0007:ffff:ffff:ffff:ffff',
    '2001:db8:0:7:1:2:3:4',
    '2001:db8::7:0:0:0:1',
    '2001:db8:0:7:1:2:192.0.2.1',
    '2001:db8:0:7::%eth0',
  ])
    assert.equal(networkOf(address), '2001:db8:0:7::/64', address)
  assert.equal(networkOf('::1'), '0:0:0:0::/64')
  assert.equal(networkOf('fe80::'), 'fe80:0:0:0::/64')
  assert.notEqual(networkOf('2001:db8:0:8::1'), networkOf('2001:db8:0:7::1'))
})

test('what is no address stays as it is', () => {
  for (const other of ['', 'unix', '1:2', ':::']) assert.equal(networkOf(other), other)
})
