import { notFound } from '../kernel/errors.ts'
import { operation, publicOperation, type Route } from '../kernel/operation.ts'
import type { OpenIdProvider } from '../kernel/ports.ts'
import { externalLoginsContract as contract } from './external-logins.contract.ts'
import type { ExternalLogins } from './external-logins.service.ts'
import { personOfTelegram } from './external-person.ts'
import type { Guests } from './guests.service.ts'
import type { OpenIdLogins } from './openid-logins.service.ts'
import { loginHeaders, withRefreshCookie } from './refresh-cookie.ts'
import { type TelegramProof, verifyTelegram } from './telegram.ts'

interface Services {
  externalLogins: ExternalLogins
  openIdLogins: OpenIdLogins
  openIdProviders: readonly OpenIdProvider[]
  telegramBotToken: string | undefined
  guests: Pick<Guests, 'isOpen'>
}

/** Logins by other services, and the identities that come of them, on their REST addresses. */
export function externalLoginRoutes(services: Services): Route[] {
  const { externalLogins, openIdLogins, openIdProviders, telegramBotToken, guests } = services

  function telegramPerson(data: TelegramProof) {
    if (telegramBotToken === undefined) throw notFound('provider')
    return personOfTelegram(verifyTelegram(telegramBotToken, data, Date.now()))
  }

  const providers = publicOperation(
    'auth:providers',
    contract['auth:providers'],
    async () => ({
      items: openIdProviders.map(({ name, label }) => ({ name, label })),
      telegram: telegramBotToken !== undefined,
      guests: guests.isOpen,
    }),
    'account',
  )

  const openId = publicOperation('auth:openid', contract['auth:openid'], openIdLogins.login, 'identity')

  const callback = publicOperation(
    'auth:openid-callback',
    contract['auth:openid-callback'],
    openIdLogins.finish,
    'identity',
  )

  const linkOpenId = operation('auth:openid-link', contract['auth:openid-link'], openIdLogins.link, 'identity')

  const telegram = publicOperation(
    'auth:telegram',
    contract['auth:telegram'],
    async (data, context) => withRefreshCookie(await externalLogins.login(telegramPerson(data), context), context),
    'identity',
  )

  const linkTelegram = operation(
    'identity:link-telegram',
    contract['identity:link-telegram'],
    async ({ password, data }, { actor }) => {
      const proof = await externalLogins.prove(actor, password)
      return externalLogins.link(actor, proof, telegramPerson(data))
    },
    'identity',
  )

  const list = operation(
    'identity:list',
    contract['identity:list'],
    async (_input, { actor }) => ({ items: await externalLogins.list(actor.userId) }),
    'account',
  )

  const unlink = operation(
    'identity:unlink',
    contract['identity:unlink'],
    async ({ provider, password }, { actor }) => {
      const proof = await externalLogins.prove(actor, password)
      await externalLogins.unlink(actor, proof, provider)
      return {}
    },
    'account',
  )

  return [
    { method: 'get', path: '/auth/providers', operation: providers, tag: 'auth' },
    { method: 'get', path: '/auth/oauth/:provider', operation: openId, status: 302, tag: 'auth' },
    {
      method: 'get',
      path: '/auth/oauth/:provider/callback',
      operation: callback,
      redirects: true,
      headers: loginHeaders,
      tag: 'auth',
    },
    { method: 'post', path: '/auth/oauth/:provider/link', operation: linkOpenId, tag: 'auth' },
    { method: 'post', path: '/auth/telegram', operation: telegram, headers: loginHeaders, tag: 'auth' },
    { method: 'get', path: '/me/identities', operation: list, tag: 'account' },
    { method: 'post', path: '/me/identities/telegram', operation: linkTelegram, tag: 'account' },
    { method: 'delete', path: '/me/identities/:provider', operation: unlink, status: 204, tag: 'account' },
  ]
}
