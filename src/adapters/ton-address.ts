const friendlyBytes = 36

/**
 * `workchain:hash` in hex of an address of TON in any spelling (https://docs.ton.org/foundations/addresses/formats): addresses
 * are compared by it. Undefined for what is none, also where the checksum says that a letter is wrong.
 */
export function rawTonAddress(address: string): string | undefined {
  const raw = /^(-1|0):([0-9a-f]{64})$/i.exec(address)
  if (raw) return address.toLowerCase()
  return isFriendlyTonAddress(address) ? decoded(Buffer.from(address, 'base64')) : undefined
}

/** Whether it is an address as wallets show it, which alone wallets take. */
export function isFriendlyTonAddress(address: string): boolean {
  if (!/^[\w+/-]{48}$/.test(address)) return false
  const bytes = Buffer.from(address, 'base64')
  return bytes.length === friendlyBytes && bytes.readUInt16BE(friendlyBytes - 2) === crc16(bytes.subarray(0, -2))
}

/** A byte of flags, one of the workchain, 32 of the hash, 2 of the checksum. */
const decoded = (bytes: Buffer): string => `${bytes.readInt8(1)}:${bytes.subarray(2, 34).toString('hex')}`

/** CRC-16/XMODEM. */
function crc16(bytes: Buffer): number {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff
  }
  return crc
}
