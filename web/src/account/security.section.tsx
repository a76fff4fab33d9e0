import { LogOut } from 'lucide'
import { useState } from 'preact/hooks'
import { t } from '../i18n.ts'
import { client, me, signOut } from '../state/session.ts'
import { say } from '../state/toasts.ts'
import { Button } from '../ui/button.tsx'
import { ConfirmButton } from '../ui/confirm.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Field, Form } from '../ui/field.tsx'
import { Problem } from '../ui/problem.tsx'
import { Card } from './card.tsx'
import { ExportCard } from './export.card.tsx'
import { IdentitiesCard } from './identities.card.tsx'
import { PasswordProof, useProof } from './password-proof.tsx'

/** By what one comes in, what one takes along, and the end of it all. */
export function SecuritySection() {
  async function endAll(): Promise<void> {
    await client.rest.request('POST', '/v1/auth/logout-all', {})
    await signOut()
  }
  return (
    <>
      {!me.value?.email && <p class="settings-note">{t('account:guest')}</p>}
      <Card title={t('account:password')} hint={t('account:passwordEnds')}>
        <PasswordForm />
      </Card>
      <IdentitiesCard />
      <Card title={t('account:everywhere')} hint={t('account:everywhereHint')}>
        <ConfirmButton
          icon={LogOut}
          label={t('account:everywhere')}
          question={t('account:everywhereQuestion')}
          onConfirm={endAll}
        />
      </Card>
      <ExportCard />
      <Card title={t('account:deleteAccount')} hint={t('account:deleteHint')}>
        <DeleteAccount />
      </Card>
    </>
  )
}

function PasswordForm() {
  const [currentPassword, setCurrent] = useState('')
  const [newPassword, setNew] = useState('')
  const { problem, isBusy, send } = useProof({ invalid_request: t('account:badPassword') })

  async function save(): Promise<void> {
    const input = { newPassword, ...(currentPassword && { currentPassword }) }
    if (!(await send(() => client.rest.request('POST', '/v1/auth/change-password', input)))) return
    say(t('account:passwordSet'))
    setCurrent('')
    setNew('')
  }

  return (
    <Form onSend={save} label={t('account:password')}>
      <PasswordProof value={currentPassword} onValue={setCurrent} />
      <Field
        label={t('account:newPassword')}
        type="password"
        autocomplete="new-password"
        value={newPassword}
        onValue={setNew}
        maxLength={200}
        hint={t('account:passwordHint')}
        isRequired
      />
      <Problem text={problem} />
      <div class="actions">
        <Button kind="primary" type="submit" disabled={isBusy || !newPassword}>
          {t('account:setPassword')}
        </Button>
      </div>
    </Form>
  )
}

function DeleteAccount() {
  const [isOpen, setOpen] = useState(false)
  const [password, setPassword] = useState('')
  const [name, setName] = useState('')
  const { problem, isBusy, send } = useProof({ unprocessable: t('account:lastAdmin') })
  const username = me.value?.username ?? ''

  async function end(): Promise<void> {
    const input = password ? { password } : {}
    if (name === username && (await send(() => client.rest.request('DELETE', '/v1/me', input)))) await signOut()
  }

  return (
    <>
      <Button kind="danger" onPress={() => setOpen(true)}>
        {t('account:deleteAccount')}
      </Button>
      {isOpen && (
        <Dialog title={t('account:deleteAccount')} onClose={() => setOpen(false)}>
          <p>{t('account:deleteQuestion')}</p>
          <Form onSend={end}>
            <Field
              label={t('account:typeName', { username })}
              value={name}
              onValue={setName}
              autocomplete="off"
              isRequired
            />
            <PasswordProof value={password} onValue={setPassword} />
            <Problem text={problem} />
            <div class="actions">
              <Button onPress={() => setOpen(false)}>{t('common:cancel')}</Button>
              <Button kind="danger" type="submit" disabled={isBusy || name !== username}>
                {t('account:deleteForGood')}
              </Button>
            </div>
          </Form>
        </Dialog>
      )}
    </>
  )
}
