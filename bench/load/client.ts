import { type KintsugiSocket, openSocket } from '../../src/client/socket.ts'
import type { World } from '../world.ts'

/** Far above anything that a work takes: the lab's own limit comes first. */
const timeoutMs = 300_000

/**
 * Connects one person of Kintsugi with the project's client; resolves when the session is ready.
 * @throws where the first attempt fails: the client would try again, and hide that the server turned someone away
 */
export async function openClient(urls: string[], world: World, index: number): Promise<KintsugiSocket> {
  const person = world.people[index]
  const url = urls[index % urls.length]
  if (!person || !url) throw new RangeError(`nobody at ${index}`)
  let attempts = 0
  const secondAttempt = Promise.withResolvers<never>()
  const socket = openSocket({
    url,
    timeoutMs,
    auth() {
      attempts++
      if (attempts > 1) secondAttempt.reject(new Error('a connection was refused or lost'))
      return { token: person.token }
    },
  })
  secondAttempt.promise.catch(() => {})
  await Promise.race([socket.ready, secondAttempt.promise]).catch((error) => {
    socket.close()
    throw error
  })
  return socket
}
