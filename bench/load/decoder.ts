import { Decoder, PacketType } from 'socket.io-parser'

/**
 * A decoder that parses a packet once and gives it to all sockets that receive the same text. In the world every member
 * of a group has a device of its own; here one process plays them all, and would spend most of its time on parsing the
 * same packet again. It treats every target alike.
 *
 * Only events without an acknowledgment are shared: nothing writes to those.
 */
export class SharedDecoder extends Decoder {
  override add(data: unknown): void {
    const packet = typeof data === 'string' && data.startsWith(sharedStart) ? shared(data) : undefined
    if (packet) this.emitReserved('decoded', packet)
    else super.add(data)
  }
}

type EventPacket = { type: PacketType; nsp: string; data: unknown[] }

/** An event in the default namespace that wants no acknowledgment: `2[…]`. Anything else is left to the parser. */
const sharedStart = '2['
/** Tells packets apart nearly always: it covers the ids at their head. Hashing a whole one would cost most of a parse. */
const headLength = 200
/** More than the packets that are on their way at once: at most one or two for each sender. */
const maxRecent = 512
const recent = new Map<string, { text: string; packet: EventPacket }>()

function shared(text: string): EventPacket {
  const head = text.slice(0, headLength)
  const known = recent.get(head)
  if (known?.text === text) return known.packet
  const packet = { type: PacketType.EVENT, nsp: '/', data: JSON.parse(text.slice(1)) }
  if (recent.size >= maxRecent) recent.clear()
  recent.set(head, { text, packet })
  return packet
}
