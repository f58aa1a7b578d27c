// What the service stands on, before it can be registered anywhere: the address that it will have comes out of here.
//   az deployment group create --resource-group RG --template-file infra/azure/environment.bicep \
//     --parameters postgresPassword=...

@description('Names everything; lower-case letters, digits and hyphens.')
@minLength(3)
@maxLength(20)
param name string = 'pbx-teams'

param location string = resourceGroup().location

@description('Of the database; at least 16 characters, letters and digits alone, because it becomes part of an address.')
@secure()
@minLength(16)
param postgresPassword string

@description('Key Vault names are taken world-wide.')
@maxLength(24)
param vaultName string = 'kv-${uniqueString(resourceGroup().id, name)}'

resource logs 'Microsoft.OperationalInsights/workspaces@2022-10-01' = {
  name: '${name}-logs'
  location: location
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: 30
  }
}

resource environment 'Microsoft.App/managedEnvironments@2024-03-01' = {
  name: '${name}-env'
  location: location
  properties: {
    appLogsConfiguration: {
      destination: 'log-analytics'
      logAnalyticsConfiguration: {
        customerId: logs.properties.customerId
        sharedKey: logs.listKeys().primarySharedKey
      }
    }
  }
}

// Reads the secrets; and is the bot's own identity where that is wished.
resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-identity'
  location: location
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: vaultName
  location: location
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: true
  }
}

// "Key Vault Secrets User": may read secrets, nothing else.
resource readsSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, identity.id, 'secrets-user')
  scope: vault
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4633458b-17de-408a-b874-0445c86b69e6')
  }
}

resource postgres 'Microsoft.DBforPostgreSQL/flexibleServers@2024-08-01' = {
  name: '${name}-${uniqueString(resourceGroup().id, name)}'
  location: location
  sku: {
    name: 'Standard_B1ms'
    tier: 'Burstable'
  }
  properties: {
    version: '16'
    administratorLogin: 'pbxteams'
    administratorLoginPassword: postgresPassword
    storage: {
      storageSizeGB: 32
    }
    backup: {
      backupRetentionDays: 14
    }
  }
}

resource database 'Microsoft.DBforPostgreSQL/flexibleServers/databases@2024-08-01' = {
  parent: postgres
  name: 'pbxteams'
}

// Services inside Azure alone; the address 0.0.0.0 is Azure's word for that.
resource fromAzure 'Microsoft.DBforPostgreSQL/flexibleServers/firewallRules@2024-08-01' = {
  parent: postgres
  name: 'azure'
  properties: {
    startIpAddress: '0.0.0.0'
    endIpAddress: '0.0.0.0'
  }
}

// Made of what only deployments and the identity above can read.
resource databaseUrl 'Microsoft.KeyVault/vaults/secrets@2023-07-01' = {
  parent: vault
  name: 'database-url'
  properties: {
    value: 'postgresql+asyncpg://${postgres.properties.administratorLogin}:${postgresPassword}@${postgres.properties.fullyQualifiedDomainName}/${database.name}'
  }
}

@description('For register-app.sh, and for the CNAME of a host name of your own.')
output host string = '${name}.${environment.properties.defaultDomain}'
output vaultName string = vault.name
output databaseSecret string = databaseUrl.name
@description('The bot id, where the bot is to have a managed identity.')
output identityClientId string = identity.properties.clientId
