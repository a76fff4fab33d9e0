import { useState } from 'preact/hooks'
import { t } from '../i18n.ts'
import { client, me } from '../state/session.ts'
import { say } from '../state/toasts.ts'
import { Button } from '../ui/button.tsx'
import { Field, Form } from '../ui/field.tsx'
import { Problem, useSending } from '../ui/problem.tsx'
import { AvatarField } from './avatar-field.tsx'
import { Card } from './card.tsx'
import { EmailCard } from './email.card.tsx'
import { LanguageChoice } from './language-choice.tsx'

/** How others see one, one's address, and the language. */
export function ProfileSection() {
  if (!me.value) return null
  const change = async (changes: object): Promise<void> => {
    me.value = await client.rest.request('PATCH', '/v1/me', changes)
  }
  return (
    <>
      <Card title={t('account:picture')}>
        <AvatarField name={me.value.displayName} url={me.value.avatarUrl} onPick={(avatarId) => change({ avatarId })} />
      </Card>
      <Card title={t('account:names')}>
        <NamesForm onChange={change} />
      </Card>
      <EmailCard />
      <Card title={t('account:language')}>
        <LanguageChoice />
      </Card>
    </>
  )
}

function NamesForm({ onChange }: { onChange(changes: object): Promise<void> }) {
  const [displayName, setDisplayName] = useState(me.value?.displayName ?? '')
  const [username, setUsername] = useState(me.value?.username ?? '')
  const { problem, isBusy, send } = useSending({ conflict: t('account:usernameTaken') })
  const changes = {
    ...(displayName.trim() !== me.value?.displayName && { displayName: displayName.trim() }),
    ...(username !== me.value?.username && { username }),
  }
  const isSame = Object.keys(changes).length === 0

  async function save(): Promise<void> {
    if (!isSame && (await send(() => onChange(changes)))) say(t('common:saved'))
  }

  return (
    <Form onSend={save} label={t('account:names')}>
      <Field
        label={t('account:displayName')}
        value={displayName}
        onValue={setDisplayName}
        autocomplete="nickname"
        maxLength={64}
        isRequired
      />
      <Field
        label={t('account:username')}
        value={username}
        onValue={setUsername}
        autocomplete="username"
        maxLength={32}
        isRequired
        hint={t('account:usernameHint')}
      />
      <Problem text={problem} />
      <div class="actions">
        <Button kind="primary" type="submit" disabled={isBusy || isSame}>
          {t('common:save')}
        </Button>
      </div>
    </Form>
  )
}
