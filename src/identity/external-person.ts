import { randomInt } from 'node:crypto'
import { z } from 'zod'
import type { OpenIdClaims } from '../kernel/ports.ts'
import type { TelegramUser } from './telegram.ts'

const maxName = 64
const maxPicture = 2000
const maxLocale = 35
const minUsername = 3
const maxUsername = 32

/** The service that is no OpenID Connect provider. */
export const telegram = { name: 'telegram', label: 'Telegram' } as const

/** Someone whom another service vouches for, with what it says of them brought into the forms of an account. */
export interface ExternalPerson {
  /** The provider's name in the configuration, or `telegram`. */
  provider: string
  /** What they are called to their users. */
  label: string
  providerUserId: string
  /** Only where the provider vouches for it. */
  verifiedEmail: string | undefined
  displayName: string | undefined
  /** Words to make a username of, the best first. */
  namings: string[]
  locale: string | undefined
  /** What is kept of it beside the account. */
  profile: { name?: string; picture?: string; locale?: string }
}

export function personOfOpenId(provider: { name: string; label: string }, claims: OpenIdClaims): ExternalPerson {
  const email = emailOf(claims.email)
  return person({
    provider: provider.name,
    label: provider.label,
    providerUserId: claims.subject,
    verifiedEmail: claims.emailVerified ? email : undefined,
    name: claims.name,
    namings: [claims.username, claims.name, email],
    picture: claims.picture,
    locale: claims.locale,
  })
}

export function personOfTelegram(user: TelegramUser): ExternalPerson {
  const name = [user.firstName, user.lastName].filter((part) => part !== undefined).join(' ')
  return person({
    provider: telegram.name,
    label: telegram.label,
    providerUserId: user.id,
    verifiedEmail: undefined,
    name,
    namings: [user.username, name],
    picture: user.photoUrl,
    locale: user.languageCode,
  })
}

interface Told extends Pick<ExternalPerson, 'provider' | 'label' | 'providerUserId' | 'verifiedEmail'> {
  name: string | undefined
  namings: (string | undefined)[]
  picture: string | undefined
  locale: string | undefined
}

function person({ name, namings, picture, locale, ...rest }: Told): ExternalPerson {
  const displayName = shortened(name, maxName) || undefined
  const goodPicture = pictureOf(picture)
  const givenLocale = shortened(locale, maxLocale) || undefined
  return {
    ...rest,
    displayName,
    namings: namings.filter((naming) => naming !== undefined),
    locale: localeOf(locale),
    profile: {
      ...(displayName && { name: displayName }),
      ...(goodPicture && { picture: goodPicture }),
      ...(givenLocale && { locale: givenLocale }),
    },
  }
}

/**
 * A username for a new account, in the form that usernames have. The first attempt takes the name as it is, each further
 * one adds another random number.
 */
export function usernameFor({ namings }: ExternalPerson, attempt: number): string {
  const base = namings.map(asUsername).find((candidate) => candidate.length >= minUsername)
  if (base !== undefined && attempt === 0) return base
  const suffix = `_${randomInt(10 ** (attempt < 3 ? 4 : 8))}`
  return `${(base ?? 'user').slice(0, maxUsername - suffix.length)}${suffix}`
}

/** Letters lose their accents, spaces become `_`, what comes after an `@` and all else that does not fit goes. */
const asUsername = (naming: string): string =>
  (naming.split('@')[0] ?? '')
    .slice(0, 4 * maxUsername)
    .normalize('NFKD')
    .trim()
    .replaceAll(/\s+/g, '_')
    .replaceAll(/[^A-Za-z0-9_.-]/g, '')
    .slice(0, maxUsername)

/** At most so many UTF-16 units of the text, and nothing that PostgreSQL cannot store; no character is cut in half. */
const shortened = (value: string | undefined, max: number): string =>
  (value ?? '')
    .toWellFormed()
    .replaceAll('\0', '')
    .trim()
    .slice(0, max)
    .replace(/[\uD800-\uDBFF]$/, '')
    .trim()

function emailOf(value: string | undefined): string | undefined {
  const email = z.email().max(254).safeParse(value)
  return email.success ? email.data : undefined
}

/** Only what a page can show without loading it unencrypted. */
function pictureOf(value: string | undefined): string | undefined {
  const url = value === undefined ? null : URL.parse(value)
  return url?.protocol === 'https:' && url.href.length <= maxPicture ? url.href : undefined
}

/** As a language tag; some providers write `en_US`. */
function localeOf(value: string | undefined): string | undefined {
  const tag = value?.replaceAll('_', '-')
  return tag !== undefined && tag.length <= maxLocale && /^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/.test(tag)
    ? tag
    : undefined
}
