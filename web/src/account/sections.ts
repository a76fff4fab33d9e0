/** The pages of the settings, in groups, in their order. */
export const groups = [
  { id: 'account', sections: ['profile', 'security', 'sessions', 'preferences', 'blocked'] },
  { id: 'ai', sections: ['agents'] },
  { id: 'billing', sections: ['plan', 'usage', 'credits', 'payments'] },
] as const

export type SectionId = (typeof groups)[number]['sections'][number]

const known: readonly string[] = groups.flatMap(({ sections }) => sections)
/** Where providers of payments lead back to. */
const otherNames: Record<string, SectionId> = { subscription: 'plan', '': 'plan' }

/** What a path below `/settings` or `/billing` shows; no section: the list of them. */
export function shownAt(path: string): { section?: SectionId; paymentId?: string } {
  const [, area, name = '', id] = path.split('/')
  const section = (area === 'billing' && otherNames[name]) || (known.includes(name) ? (name as SectionId) : undefined)
  if (!section) return {}
  return { section, ...(section === 'payments' && id && { paymentId: decodeURIComponent(id) }) }
}
