import './find.css'
import { Crown, EllipsisVertical, KeyRound, MessageCircle, User as Plain, Shield, UserMinus } from 'lucide'
import { useState } from 'preact/hooks'
import type { Participant } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { client, myId } from '../state/session.ts'
import { Avatar } from '../ui/avatar.tsx'
import { Confirm } from '../ui/confirm.tsx'
import { Menu, type MenuItem } from '../ui/menu.tsx'
import { writeTo } from './actions.ts'
import { AgentMark } from './faces.tsx'
import { mayRemove } from './rights.ts'

type Role = Participant['role']

interface PersonOptions {
  conversationId: string
  person: Participant
  /** One's own. */
  role: Role | undefined
  /** The dialog is to close: something else is opened. */
  onGone(): void
}

/** Somebody of a group. */
export function InfoPerson(options: PersonOptions) {
  const { conversationId, person } = options
  const [asked, ask] = useState<'handOver' | 'remove'>()
  const items = itemsFor(options, ask)
  const name = person.displayName
  return (
    <div class="conv-participant">
      <Avatar name={name} url={person.avatarUrl} kind={person.kind} userId={person.userId} size={38} />
      <span class="conv-person-names">
        <span>
          <bdi>{name}</bdi> {person.userId === myId() && <span class="quiet">({t('conversations:self')})</span>}
        </span>
        <span class="quiet">
          @{person.username}
          {person.role !== 'member' && ` · ${t(`conversations:${person.role}`)}`}
        </span>
      </span>
      {person.kind === 'agent' && <AgentMark />}
      {items.length > 0 && (
        <Menu icon={EllipsisVertical} label={t('conversations:menu', { title: name })} items={items} />
      )}
      {asked === 'remove' && (
        <Confirm
          title={t('conversations:removeTitle', { name })}
          text={t('conversations:removeText')}
          label={t('conversations:remove')}
          onConfirm={() => client.command('participant:remove', { conversationId, userId: person.userId })}
          onClose={() => ask(undefined)}
        />
      )}
      {asked === 'handOver' && (
        <Confirm
          title={t('conversations:handOverTitle', { name })}
          text={t('conversations:handOverText', { name })}
          label={t('conversations:handOver')}
          onConfirm={() => handOver(conversationId, person.userId)}
          onClose={() => ask(undefined)}
        />
      )}
    </div>
  )
}

function itemsFor(options: PersonOptions, ask: (what: 'handOver' | 'remove') => void): MenuItem[] {
  const { conversationId, person, role, onGone } = options
  const { userId, kind } = person
  if (userId === myId()) return []
  const isOwner = role === 'owner'
  const give = (next: Role) => () => client.command('participant:update', { conversationId, userId, role: next })
  const write = async () => {
    await writeTo(userId)
    onGone()
  }
  const items: (MenuItem | false)[] = [
    { label: t('conversations:write'), icon: MessageCircle, onPress: write },
    isOwner && person.role !== 'admin' && { label: t('conversations:makeAdmin'), icon: Shield, onPress: give('admin') },
    isOwner &&
      person.role !== 'member' && { label: t('conversations:makeMember'), icon: Plain, onPress: give('member') },
    // the server has groups owned by people alone
    isOwner &&
      kind === 'human' &&
      person.role !== 'owner' && { label: t('conversations:makeOwner'), icon: KeyRound, onPress: give('owner') },
    isOwner && kind === 'human' && { label: t('conversations:handOver'), icon: Crown, onPress: () => ask('handOver') },
    mayRemove(role, person.role) && {
      label: t('conversations:remove'),
      icon: UserMinus,
      isDanger: true,
      onPress: () => ask('remove'),
    },
  ]
  return items.filter((item) => item !== false)
}

/** In this order, so that the group has an owner at every moment. */
async function handOver(conversationId: string, userId: string): Promise<void> {
  await client.command('participant:update', { conversationId, userId, role: 'owner' })
  await client.command('participant:update', { conversationId, userId: myId(), role: 'admin' })
}
