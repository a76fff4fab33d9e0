import { useState } from 'preact/hooks'
import { t } from '../i18n.ts'
import { followLink, navigate, place } from '../router.ts'
import { client, stage } from '../state/session.ts'
import { Button } from '../ui/button.tsx'
import { Field, Form } from '../ui/field.tsx'
import { Problem } from '../ui/problem.tsx'
import { EntryPage } from './page.tsx'
import { useSending } from './sending.ts'
import { SignInScreen } from './sign-in.screen.tsx'
import { VerifyEmail } from './verify-email.tsx'

/** Paths that mails lead to. */
export const linkPaths: readonly string[] = ['/reset-password', '/verify-email']

/** What a mail has led to: a new password, or a confirmed address, for which one has to be signed in. */
export function LinkScreen() {
  if (place.value.path === '/reset-password')
    return (
      <EntryPage>
        <ResetPassword token={place.value.query.get('token') ?? ''} />
      </EntryPage>
    )
  if (stage.value === 'starting') return <p class="empty">{t('common:connecting')}</p>
  if (stage.value === 'signedOut') return <SignInScreen note={t('signIn:verifyFirst')} />
  return (
    <EntryPage>
      <VerifyEmail given={place.value.query.get('code') ?? ''} />
    </EntryPage>
  )
}

function ResetPassword({ token }: { token: string }) {
  const [password, setPassword] = useState('')
  const [isDone, setDone] = useState(false)
  const { isBusy, problem, problems, send } = useSending({ gone: 'signIn:linkGone' })
  const reset = async () => {
    const done = await send(() => client.rest.request('POST', '/v1/auth/reset-password', { token, password }), {
      password,
    })
    if (done) setDone(true)
  }
  if (token === '')
    return (
      <>
        <h2>{t('signIn:resetTitle')}</h2>
        <p>{t('signIn:linkGone')}</p>
        <ToSignIn />
      </>
    )
  return (
    <>
      <h2>{t('signIn:resetTitle')}</h2>
      <div role="status">{isDone && <p class="enter-note">{t('signIn:resetDone')}</p>}</div>
      {isDone ? (
        <Button kind="primary" onPress={() => navigate('/', { replace: true })}>
          {t('signIn:signIn')}
        </Button>
      ) : (
        <Form label={t('signIn:resetTitle')} onSend={reset}>
          <Field
            label={t('signIn:newPassword')}
            type="password"
            name="password"
            autocomplete="new-password"
            value={password}
            onValue={setPassword}
            hint={t('signIn:passwordHint')}
            problem={problems.password}
            maxLength={200}
            isRequired
          />
          <Problem text={problem} />
          <Button kind="primary" type="submit" disabled={isBusy}>
            {t('signIn:resetSave')}
          </Button>
          <ToSignIn />
        </Form>
      )}
    </>
  )
}

function ToSignIn() {
  return (
    <a class="enter-link" href="/" onClick={followLink}>
      {t('signIn:backToSignIn')}
    </a>
  )
}
