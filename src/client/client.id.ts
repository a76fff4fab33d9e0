/**
 * An id that nobody else makes, for commands that may be sent again. Not `randomUUID`, which browsers withhold on plain
 * http, where a self-hosted server may well be.
 */
export function newClientId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
