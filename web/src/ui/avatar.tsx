import { Bot, Users } from 'lucide'
import { presences } from '../state/people.ts'
import { Icon } from './icon.tsx'
import { useMediaUrl } from './media-url.ts'

interface AvatarOptions {
  name: string
  url?: string | undefined
  kind?: 'human' | 'agent' | 'group'
  /** Shows whether this person is there. */
  userId?: string | undefined
  size?: number
}

/** As many as there are colours in base.css. */
const hues = 8

/** Decoration: the name stands beside it. */
export function Avatar({ name, url, kind = 'human', userId, size = 40 }: AvatarOptions) {
  const src = useMediaUrl(url)
  const isThere = userId !== undefined && presences.value.get(userId)?.status === 'online'
  return (
    <span class={`avatar avatar-${hueOf(name)}`} style={{ '--size': `${size}px` }} aria-hidden="true">
      {src ? <img src={src} alt="" /> : <Sign kind={kind} name={name} />}
      {isThere && <span class="avatar-online" />}
    </span>
  )
}

function Sign({ kind, name }: { kind: AvatarOptions['kind']; name: string }) {
  if (kind === 'agent') return <Icon of={Bot} />
  if (kind === 'group') return <Icon of={Users} />
  return <span>{initialOf(name)}</span>
}

const initialOf = (name: string): string =>
  [...new Intl.Segmenter().segment(name.trim())][0]?.segment.toUpperCase() ?? '?'

const hueOf = (name: string): number =>
  [...name].reduce((sum, char) => (sum * 31 + (char.codePointAt(0) ?? 0)) % 9973, 7) % hues
