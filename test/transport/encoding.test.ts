import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Decoder, type Packet } from 'socket.io-parser'
import { encodedEvent, packed, unpacked } from '../../src/transport/encoding.ts'
import { textFrame } from '../../src/transport/frames.ts'

/** What a WebSocket frame of a server says, by RFC 6455. */
function readFrame(frame: Buffer): { isWhole: boolean; text: string } {
  const short = (frame[1] as number) & 0x7f
  assert.equal((frame[1] as number) & 0x80, 0, 'a server does not mask')
  let start = 2
  let length = short
  if (short === 126) [start, length] = [4, frame.readUInt16BE(2)]
  if (short === 127) [start, length] = [10, Number(frame.readBigUInt64BE(2))]
  assert.equal(frame.length, start + length)
  return { isWhole: frame[0] === 0x81, text: frame.toString('utf8', start) }
}

for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 200_000]) {
  test(`a text of ${length} bytes is one frame`, () => {
    assert.deepEqual(readFrame(textFrame('x'.repeat(length))), { isWhole: true, text: 'x'.repeat(length) })
  })
}

test('a frame counts bytes, not characters', () => {
  for (const text of ['é'.repeat(63), '안녕 👩‍🚀', '👋'.repeat(20_000)]) {
    assert.deepEqual(readFrame(textFrame(text)), { isWhole: true, text })
  }
})

test('an event is encoded as Socket.IO has it', () => {
  const payload = { text: 'a "quoted" 안녕 \u2028 line', list: [1, null] }
  let read: Packet | undefined
  const decoder = new Decoder()
  decoder.on('decoded', (packet: Packet) => {
    read = packet
  })
  decoder.add(encodedEvent('messages:created', JSON.stringify(payload)))
  assert.deepEqual(read, { type: 2, nsp: '/', data: ['messages:created', payload] })
})

test('events come out of a pack as they went in', () => {
  const events = ['plain', 'line\nbreaks\n\n', '안녕 👩‍🚀', '', '["[1,2]"]'].map((text, n) => ({
    conversationId: `c${n}`,
    membersChange: n,
    text,
  }))
  assert.deepEqual(unpacked(packed(events)), events)
  assert.deepEqual(unpacked(Buffer.from(packed(events)).toString()), events)
  assert.deepEqual(unpacked(packed([])), [])
})
