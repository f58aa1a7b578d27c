// The service as one container app, its secrets in Key Vault, and the bot's registration with the Teams channel.
// After environment.bicep and register-app.sh:
//   az deployment group create --resource-group RG --template-file infra/azure/service.bicep \
//     --parameters image=... vaultName=... appId=... teamsAppId=... appPassword=... keyPepper=... vendorKeys=...

@description('As in environment.bicep.')
param name string = 'pbx-teams'

param location string = resourceGroup().location

@description('Of infra/Containerfile, for instance example.azurecr.io/pbx-teams:VERSION')
param image string

@description('Output of environment.bicep.')
param vaultName string

@description('A host name of your own that points to the app; empty: the one that Azure gives.')
param publicHost string = ''

@description('SingleTenant: the bot is the app registration, with its client secret. UserAssignedMSI: it is the managed identity, without any secret.')
@allowed(['SingleTenant', 'UserAssignedMSI'])
param appType string = 'SingleTenant'

@description('Application (client) id of the app registration: register-app.sh prints it.')
param appId string

@description('Client secret of a SingleTenant app.')
@secure()
param appPassword string = ''

@description('The id in the Teams app package.')
param teamsAppId string

@description('At least 32 random characters.')
@secure()
@minLength(32)
param keyPepper string

@description('JSON: key id to public key, as "pbx-teams licence vendor-key" prints it.')
param vendorKeys string = '{}'

@description('Microsoft tenants whose people may use the service, separated by commas; empty: any that the registration lets in.')
param allowedTenants string = tenant().tenantId

var isManaged = appType == 'UserAssignedMSI'
var host = empty(publicHost) ? '${name}.${environment.properties.defaultDomain}' : publicHost
var secretNames = isManaged ? ['key-pepper', 'database-url'] : ['key-pepper', 'database-url', 'app-password']
var settings = [
  { name: 'PBX_TEAMS_PUBLIC_URL', value: 'https://${host}' }
  { name: 'PBX_TEAMS_APP_ID', value: appId }
  { name: 'PBX_TEAMS_APP_TENANT_ID', value: tenant().tenantId }
  { name: 'PBX_TEAMS_APP_TYPE', value: appType }
  { name: 'PBX_TEAMS_TEAMS_APP_ID', value: teamsAppId }
  { name: 'PBX_TEAMS_ALLOWED_TENANTS', value: allowedTenants }
  { name: 'PBX_TEAMS_VENDOR_KEYS', value: vendorKeys }
  { name: 'PBX_TEAMS_TRUSTED_PROXIES', value: '1' }
  { name: 'PBX_TEAMS_ENROLMENT_REQUIRED', value: 'true' }
  { name: 'PBX_TEAMS_KEY_PEPPER', secretRef: 'key-pepper' }
  { name: 'DATABASE_URL', secretRef: 'database-url' }
]
var botSettings = isManaged
  ? [{ name: 'PBX_TEAMS_BOT_ID', value: identity.properties.clientId }]
  : [{ name: 'PBX_TEAMS_APP_PASSWORD', secretRef: 'app-password' }]

resource environment 'Microsoft.App/managedEnvironments@2024-03-01' existing = {
  name: '${name}-env'
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' existing = {
  name: '${name}-identity'
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' existing = {
  name: vaultName
}

resource pepper 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = {
  parent: vault
  name: 'key-pepper'
  properties: {
    value: keyPepper
  }
}

resource password 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = if (!isManaged) {
  parent: vault
  name: 'app-password'
  properties: {
    value: appPassword
  }
}

resource app 'Microsoft.App/containerApps@2024-03-01' = {
  name: name
  location: location
  dependsOn: [pepper, password]
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    environmentId: environment.id
    workloadProfileName: 'Consumption'
    configuration: {
      activeRevisionsMode: 'Single'
      ingress: {
        external: true
        targetPort: 3978
        allowInsecure: false
      }
      secrets: [
        for secretName in secretNames: {
          name: secretName
          keyVaultUrl: '${vault.properties.vaultUri}secrets/${secretName}'
          identity: identity.id
        }
      ]
    }
    template: {
      // One process: several replicas need NATS (docs/scale.md).
      scale: {
        minReplicas: 1
        maxReplicas: 1
      }
      containers: [
        {
          name: 'service'
          image: image
          env: concat(settings, botSettings)
          resources: {
            cpu: json('0.5')
            memory: '1Gi'
          }
          probes: [
            {
              type: 'Liveness'
              httpGet: {
                path: '/healthz'
                port: 3978
              }
            }
            {
              type: 'Readiness'
              httpGet: {
                path: '/readyz'
                port: 3978
              }
            }
          ]
        }
      ]
    }
  }
}

resource bot 'Microsoft.BotService/botServices@2022-09-15' = {
  name: '${name}-bot'
  location: 'global'
  kind: 'azurebot'
  sku: {
    name: 'F0'
  }
  properties: {
    displayName: 'PBX for Teams'
    endpoint: 'https://${host}/api/messages'
    msaAppType: appType
    msaAppId: isManaged ? identity.properties.clientId : appId
    msaAppTenantId: tenant().tenantId
    msaAppMSIResourceId: isManaged ? identity.id : null
    // No secrets of Web Chat or Direct Line: in those channels the client itself claims an identity. Azure creates
    // Web Chat with every bot; docs/install.md says how to delete it.
    disableLocalAuth: true
  }
}

// The only channel: the service refuses all others.
resource teams 'Microsoft.BotService/botServices/channels@2022-09-15' = {
  parent: bot
  location: 'global'
  name: 'MsTeamsChannel'
  properties: {
    channelName: 'MsTeamsChannel'
  }
}

output url string = 'https://${host}/tab/'
output botId string = isManaged ? identity.properties.clientId : appId
