import { isIPv6 } from 'node:net'

/**
 * Whom an address belongs to, for counting attempts: an IPv4 address by itself; of an IPv6 address the first 64 bits, since
 * a home is given at least that many addresses and a guesser could use another one each time.
 */
export function networkOf(address: string): string {
  const [plain = ''] = address.split('%')
  if (!isIPv6(plain)) return plain
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)
  if (mapped?.[1]) return mapped[1]
  // what `::` stands for is as many zeros as are missing of eight groups; a dotted end takes the place of two
  const [head = '', tail] = plain.replace(/[^:]+\.[^:]+$/, '0:0').split('::')
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const zeros = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length
  const all = [...groups(head), ...Array<string>(zeros).fill('0'), ...groups(tail ?? '')]
  const network = all.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16))
  return `${network.join(':')}::/64`
}
