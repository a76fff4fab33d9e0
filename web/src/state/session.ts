import { batch, signal } from '@preact/signals'
import { type Client, createClient, type ErrorCode, type Me, type Session } from '../../../src/client/index.ts'
import { onOtherLogin, openStorage, scope } from './storage.ts'

/** What goes wrong after the connection is there, such as its end, is tried again after so many milliseconds. */
const retryMs = 2_000

/** `starting`: whether somebody is signed in is not known yet; `ready`: the conversations are here. */
export const stage = signal<'starting' | 'signedOut' | 'ready'>('starting')
/** Who is signed in. */
export const me = signal<Me | undefined>(undefined)
export const isOnline = signal(false)
/** When the next try to connect comes, by this device's clock in milliseconds; while there is no connection. */
export const nextTryAt = signal<number | undefined>(undefined)
/** By which code the last login ended, where it did so by itself. */
export const endedBecause = signal<ErrorCode | undefined>(undefined)

/** The one client of the page. Created before anything is shown. */
export const client: Client = createClient({
  url: location.origin,
  storage: await openStorage(),
  // the cookie is the browser's: a login of one tab has to keep its token itself
  refreshCookie: scope === 'browser',
})

client.on('connected', () => {
  isOnline.value = true
  nextTryAt.value = undefined
})
client.on('retrying', ({ inMs }) => {
  nextTryAt.value = Date.now() + inMs
})
addEventListener('online', client.reconnect)
client.on('disconnected', () => {
  isOnline.value = false
})
client.on('signedOut', ({ code }) => {
  endedBecause.value = code === 'unauthenticated' && !me.value ? undefined : code
  me.value = undefined
  stage.value = 'signedOut'
})
client.on('user:changed', ({ user: { userId, avatarUrl, ...names } }) => {
  if (userId === me.value?.id) me.value = { ...me.value, ...names, avatarUrl }
})
onOtherLogin(
  () => me.value?.id,
  () => location.reload(),
)

/** Takes up the login that the browser holds, if there is one. Where the server cannot be reached it goes on trying. */
export async function startSession(): Promise<void> {
  try {
    // asked for at once, so that the first page does not wait for one more answer
    const early = client.rest.me().catch(() => undefined)
    await client.connect()
    const user = (await early) ?? (await client.rest.me())
    batch(() => {
      me.value = user
      stage.value = 'ready'
    })
  } catch (error) {
    const { code } = error as { code?: ErrorCode }
    if (code === 'unauthenticated' || code === 'banned') stage.value = 'signedOut'
    else setTimeout(startSession, retryMs)
  }
}

/** Begins a login: `enter(client.login({ … }))`. Rejects as that does. */
export async function enter(login: Promise<Session>): Promise<void> {
  const session = await login
  endedBecause.value = undefined
  await client.connect()
  me.value = session.user
  stage.value = 'ready'
}

/** Reads the own account anew, after it was changed. */
export async function reloadMe(): Promise<void> {
  me.value = await client.rest.me()
}

export async function signOut(): Promise<void> {
  await client.logout().catch(() => {})
  endedBecause.value = undefined
  location.assign('/')
}

/** Tells the server's conversations from the own id; of use only in stage `ready`. */
export const myId = (): string => me.value?.id ?? ''
