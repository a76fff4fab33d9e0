import { z } from 'zod'
import * as p from '../kernel/primitives.ts'

/** Whether the IANA time zone database knows the name; an offset such as `+09:00` is none of its names. */
function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: name }))
  } catch {
    return false
  }
}

const fields = {
  preferredModels: z
    .array(p.text(100).refine((value) => value.trim() !== '', 'must not be blank'))
    .max(20)
    .meta({ description: 'Names of models, the one liked best first.' }),
  theme: z.enum(['light', 'dark']),
  emailNotifications: z.boolean(),
  usageAlerts: z.boolean(),
  timezone: z
    .string()
    .max(64)
    .refine(isTimeZone, 'must be a name of the IANA time zone database such as `Asia/Seoul`')
    .meta({ description: 'A name of the IANA time zone database, kept as it was given.' }),
}

/** What a user has chosen. */
const preferences = z.object(fields).meta({ id: 'Preferences' })

const example = {
  preferredModels: ['gpt-4o', 'claude-sonnet-4-5'],
  theme: 'dark' as const,
  emailNotifications: true,
  usageAlerts: false,
  timezone: 'Asia/Seoul',
}

/** Operations of one's preferences, by their names. */
export const preferencesContract = {
  'preferences:get': {
    summary: 'Your preferences; before you have chosen any, the standard ones',
    input: p.empty,
    output: preferences,
    example: { input: {}, output: example },
  },
  'preferences:update': {
    summary: 'Change some of your preferences and leave the rest',
    input: z
      .strictObject(fields)
      .partial()
      .refine((input) => Object.keys(input).length > 0, 'give at least one field to change'),
    output: preferences,
    errors: ['not_found'] as const,
    example: { input: { theme: 'dark' as const, usageAlerts: false, timezone: 'Asia/Seoul' }, output: example },
  },
}

export type Preferences = z.infer<typeof preferences>
